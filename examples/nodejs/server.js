// Answers GET /hello on $PORT with a greeting of the names on its command line.
const http = require("http");
const words = require("words");

const [option, greeting, ...names] = process.argv.slice(2);
if (option !== "--greeting") throw new Error("usage: server.js --greeting TEXT [NAME…]");
const report = {
  greeting: `${greeting}, ${words.list(names.length ? names : ["world"])}!`,
  arguments: process.argv.slice(2),
  pid: process.pid,
};
http.createServer((request, response) => {
  response.writeHead(request.url === "/hello" ? 200 : 404, { "Content-Type": "application/json" });
  response.end(JSON.stringify(report));
}).listen(process.env.PORT || 8080);
