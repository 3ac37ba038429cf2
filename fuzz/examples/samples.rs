//! Writes good inputs for every fuzzer into the folder that is given.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let corpus = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| "corpus".into()));
    for target in holdfast_format::fuzzing::TARGETS {
        let folder = corpus.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (at, sample) in (target.samples)().into_iter().enumerate() {
            std::fs::write(folder.join(format!("sample-{at}")), sample)?;
        }
    }
    Ok(())
}
