//! What a person sees while a command works.

use std::io::Write;
use std::time::Instant;

/// Says what is being done.
pub fn step(text: &str) {
    eprintln!("• {text} …");
    let _ = std::io::stderr().flush();
}

/// Does `work` and says how long it took.
pub fn timed<T>(text: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    step(text);
    let start = Instant::now();
    let result = work()?;
    eprintln!("  done in {:.1} s", start.elapsed().as_secs_f32());
    Ok(result)
}
