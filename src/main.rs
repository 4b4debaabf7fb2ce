//! The `b2i` program.

fn main() -> std::process::ExitCode {
    b2i::cli::main()
}
