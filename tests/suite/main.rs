//! What crosses modules, against real parts. One binary; each module is one subject.

mod daemon;
