//! Programs that use lockgrain, an example each: `cargo run --release --example checksum -- DIR`.
