//! The example `thumbnails` on images made here: the sizes of what it makes, and what it says of what is broken.

mod run;

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{GenericImageView, ImageEncoder, ImageFormat, ImageReader, Rgb, RgbImage};
use run::{Folder, example};

type Tested = Result<(), Box<dyn Error>>;

/// EXIF for "turn me to the right by 90°": a TIFF header, and a folder of one entry, the orientation 6.
const TURNED: [u8; 26] = *b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";

/// Red on the left and blue on the right.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) })
}

/// Its width and height, and that it still is of this format.
fn size(path: &Path, format: ImageFormat) -> Result<(u32, u32), Box<dyn Error>> {
    let reader = ImageReader::open(path)?.with_guessed_format()?;
    assert_eq!(reader.format(), Some(format), "{}", path.display());
    Ok(reader.into_dimensions()?)
}

#[test]
fn thumbnails_fit_and_keep_proportions_formats_and_folders() -> Tested {
    let folder = Folder::new("thumbnails")?;
    let (photos, out) = (folder.join("photos"), folder.join("photos/small"));
    fs::create_dir_all(photos.join("inner/deeper"))?;
    picture(400, 200).save(photos.join("wide.png"))?;
    picture(300, 600).save(photos.join("inner/deeper/tall.JPG"))?;
    picture(20, 10).save(photos.join("tiny.png"))?;
    picture(2000, 1).save(photos.join("line.png"))?;
    // Its name says PNG, but it is JPEG.
    picture(100, 100).save_with_format(photos.join("misnamed.png"), ImageFormat::Jpeg)?;
    let mut encoder = JpegEncoder::new(File::create(photos.join("turned.jpeg"))?);
    encoder.set_exif_metadata(TURNED.to_vec())?;
    encoder.encode_image(&picture(400, 200))?;
    // More than the queue holds and the workers run.
    for n in 0..100 {
        picture(65 + n, 65 + n).save(photos.join(format!("inner/{n}.png")))?;
    }
    fs::write(photos.join("notes.txt"), "no image")?;

    let out_argument = out.to_str().ok_or("a temporary folder whose path is text")?;
    let arguments = ["--out", out_argument, "--size", "64", "--threads", "2", "--queue", "3"];
    // The second time the thumbnails lie in the folder: they are not images to be made smaller.
    for _ in 0..2 {
        let output = example("thumbnails", &arguments, &[&photos])?;
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
        let lines = String::from_utf8(output.stdout)?;
        assert_eq!(lines.lines().count(), 106);
        assert!(lines.contains("wide.png 64x32\n"), "{lines}");
        for (name, format, expected) in [
            ("wide.png", ImageFormat::Png, (64, 32)),
            ("inner/deeper/tall.JPG", ImageFormat::Jpeg, (32, 64)),
            ("tiny.png", ImageFormat::Png, (20, 10)),
            ("line.png", ImageFormat::Png, (64, 1)),
            ("misnamed.png", ImageFormat::Jpeg, (64, 64)),
            ("turned.jpeg", ImageFormat::Jpeg, (32, 64)),
        ] {
            assert_eq!(size(&out.join(name), format)?, expected, "{name}");
        }
        for n in 0..100 {
            assert_eq!(size(&out.join(format!("inner/{n}.png")), ImageFormat::Png)?, (64, 64), "inner/{n}.png");
        }
    }
    assert!(!out.join("small").exists() && !out.join("notes.txt").exists());
    // It is the picture, and not just its size; turned, what was on the left is at the top.
    let wide = image::open(out.join("wide.png"))?;
    assert_eq!(
        (wide.get_pixel(5, 5).0[..3].to_vec(), wide.get_pixel(60, 30).0[..3].to_vec()),
        (vec![255, 0, 0], vec![0, 0, 255])
    );
    let turned = image::open(out.join("turned.jpeg"))?;
    let (top, bottom) = (turned.get_pixel(16, 5), turned.get_pixel(16, 60));
    assert!(top[0] > 200 && top[2] < 50 && bottom[0] < 50 && bottom[2] > 200, "{top:?} {bottom:?}");
    Ok(())
}

#[test]
fn a_broken_image_is_named_and_the_rest_made() -> Tested {
    let folder = Folder::new("thumbnails-broken")?;
    let (photos, out) = (folder.join("photos"), folder.join("out"));
    fs::create_dir(&photos)?;
    for n in 0..20 {
        picture(100 + n, 50).save(photos.join(format!("good-{n}.png")))?;
    }
    let png = fs::read(photos.join("good-7.png"))?;
    fs::write(photos.join("broken-cut.png"), &png[..png.len() / 2])?;
    fs::write(photos.join("broken-text.jpg"), "no image")?;
    fs::write(photos.join("broken-empty.jpeg"), "")?;
    let (missing, twice) = (folder.join("missing.png"), photos.join("good-7.png"));

    let out_argument = out.to_str().ok_or("a temporary folder whose path is text")?;
    let arguments = ["--out", out_argument, "--size", "10"];
    let output = example("thumbnails", &arguments, &[&missing, &photos, &twice])?;
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr)?;
    for name in ["broken-cut.png: ", "broken-text.jpg: ", "broken-empty.jpeg: ", "missing.png", "good-7.png: another"] {
        assert_eq!(errors.matches(name).count(), 1, "{name} in {errors}");
    }
    assert_eq!(errors.lines().count(), 5, "{errors}");
    assert_eq!(String::from_utf8(output.stdout)?.lines().count(), 20);
    assert_eq!(fs::read_dir(&out)?.count(), 20);

    // A thumbnail is not written over the image it is of.
    let before = fs::read(photos.join("good-7.png"))?;
    let photos_argument = photos.to_str().ok_or("a temporary folder whose path is text")?;
    let output = example("thumbnails", &["--out", photos_argument, "--size", "10"], &[&twice])?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read(photos.join("good-7.png"))?, before);
    Ok(())
}
