//! The room `builder`.
