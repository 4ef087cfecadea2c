//! Floods, and all that is to use up what connections share: real packets at a real server behind the guard.
//!
//! Whoever is served already stays so; tables have their size, and no more; what was refused is counted; and
//! when it is over, there is as much room as before.

mod ends;
mod field;
mod full;
mod heads;
mod spoofed;
mod syns;
