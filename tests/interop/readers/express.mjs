// Express 5 with its defaults: which of three routes it takes, and what it read.
import express from 'express';

const app = express();
const says = (matched) => (request, response) => response.json({
  matched,
  host: request.hostname,
  user: request.get('x-user'),
  site: request.get('x-site'),
  route: request.get('x-route'),
  names: Object.keys(request.headers),
});
app.all('/admin{/*rest}', says('admin'));
app.all('/public{/*rest}', says('public'));
app.use(says('other'));
app.listen(Number(process.argv[2]), '127.0.0.1');
