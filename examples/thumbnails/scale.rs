//! Scaling one image down in a task.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use anyhow::{Context as _, Result};
use image::{DynamicImage, ImageDecoder as _, ImageReader};

/// A thumbnail's width and height in pixels.
pub(crate) struct Size(pub(crate) u32, pub(crate) u32);

/// The image, upright and at most `longest` pixels a side, in the format it has; a smaller one keeps its size. The file is
/// read and written whole, so that the pool knows when the task blocks, and a thumbnail is never half there.
pub(crate) fn file(from: &Path, to: &Path, longest: u32) -> Result<Size> {
    let bytes = lockgrain::blocking(|| fs::read(from))?;
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let format = reader.format().context("neither PNG nor JPEG")?;
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    // Never larger: `thumbnail` would scale up as well.
    if image.width().max(image.height()) > longest {
        image = image.thumbnail(longest, longest);
    }
    image.apply_orientation(orientation);
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format)?;
    lockgrain::blocking(|| {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(to, bytes.into_inner())
    })
    .with_context(|| format!("writing {}", to.display()))?;
    Ok(Size(image.width(), image.height()))
}
