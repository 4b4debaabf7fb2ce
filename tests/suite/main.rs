//! The tests that cross modules or need real parts: one test binary made of modules.

mod scripts;
