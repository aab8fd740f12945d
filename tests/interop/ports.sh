# For the runs: `free` prints a port of 127.0.0.1 that nobody listens on.
free() {
  node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'
}
