//! State handles as Flink writes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A state handle around this path. The one in the file was written by Flink 1.20.5, and 2.3.0 writes just the same.
pub fn handle(path: &str) -> String {
    let flinks = STANDARD.decode(include_str!("handle.b64").trim()).unwrap();
    let its_path = b"file:/opt/flink/ha/default/submittedJobGraph1a2b3c4d5e6f";
    let at = flinks.windows(its_path.len()).position(|bytes| bytes == its_path).unwrap();
    let mut bytes = flinks[..at - 2].to_vec();
    bytes.extend(u16::try_from(path.len()).unwrap().to_be_bytes());
    bytes.extend(path.as_bytes());
    bytes.extend(&flinks[at + its_path.len()..]);
    STANDARD.encode(bytes)
}
