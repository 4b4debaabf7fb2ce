// Loaded before the program: process 1 gets no signal that it does not listen for, and Node.js listens for none by
// itself. A program with a handler of its own keeps it, and this one does nothing.
"use strict";
if (process.pid === 1) {
    for (const [signal, number] of [["SIGTERM", 15], ["SIGINT", 2]]) {
        process.on(signal, () => {
            if (process.listenerCount(signal) === 1) process.exit(128 + number);
        });
    }
}
