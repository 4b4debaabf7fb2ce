//! The `b2i` program.

fn main() -> std::process::ExitCode {
    // Before anything that may start a thread: the sandbox's child forks.
    if let Some(code) = b2i::sandbox_child() {
        return code;
    }
    b2i::cli::main()
}
