//! Which images there are, and where their thumbnails go.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use walkdir::{DirEntry, WalkDir};

/// An image, and where its thumbnail goes.
pub(crate) struct Image {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
}

/// The files, and the images in the folders: in a folder named by their extension, and not those in `out`, a canonical
/// path. A file's thumbnail has its name, and one of a folder its path from there.
pub(crate) fn images(paths: &[PathBuf], out: &Path) -> impl Iterator<Item = Result<Image>> {
    let mut taken = HashSet::new();
    paths.iter().flat_map(move |path| walk(path, out)).map(move |image| {
        let image = image?;
        let Image { from, to } = &image;
        ensure!(taken.insert(to.clone()), "{}: another image has the thumbnail {}", from.display(), to.display());
        Ok(image)
    })
}

fn walk(root: &Path, out: &Path) -> impl Iterator<Item = Result<Image>> {
    let entries = WalkDir::new(root).sort_by_file_name().into_iter();
    entries
        .filter_entry(|entry| entry.depth() == 0 || !is_in(entry.path(), out))
        .filter(|entry| entry.as_ref().map_or(true, may_be_image))
        .map(move |entry| image(entry?, root, out))
}

fn image(entry: DirEntry, root: &Path, out: &Path) -> Result<Image> {
    let from = entry.into_path();
    // Its thumbnail would be written over it.
    ensure!(!is_in(&from, out), "{}: it is in the folder of the thumbnails", from.display());
    let name = if from == root { from.file_name().map(Path::new) } else { from.strip_prefix(root).ok() };
    let to = out.join(name.with_context(|| format!("{}: it has no name", from.display()))?);
    Ok(Image { from, to })
}

/// A file that was named is one, whatever it is called.
fn may_be_image(entry: &DirEntry) -> bool {
    let extension = entry.path().extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let has_extension = ["png", "jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known));
    !entry.file_type().is_dir() && (entry.depth() == 0 || has_extension)
}

fn is_in(path: &Path, out: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|path| path.starts_with(out))
}
