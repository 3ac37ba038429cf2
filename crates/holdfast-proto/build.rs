//! Makes Rust of the services in proto/: the only place where a protobuf compiler runs, and it needs no program of the system.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["proto/attend.proto", "proto/media.proto"];
    for file in files.iter().chain(["proto/common.proto"].iter()) {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure()
        // Data that is handed on without a copy.
        .bytes(".holdfast.v1.Group.data")
        .bytes(".holdfast.v1.Node.data")
        .compile_fds(descriptors)?;
    Ok(())
}
