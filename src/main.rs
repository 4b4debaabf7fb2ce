//! The `b2i` program.

fn main() -> std::process::ExitCode {
    // Before anything that may start a thread: the sandbox's child forks.
    #[cfg(target_os = "linux")]
    if let Some(code) = b2i::engine::sandbox::run_if_child(std::env::args_os()) {
        return code;
    }
    b2i::cli::main()
}
