// data: ["context.fetch: the body is not a string; write objects with JSON.stringify","context.fetch: the headers are not an object"]
module.exports = {
  handler: (input, { fetch }) => Promise.all([{ method: 'POST', body: { a: 1 } }, { headers: 'a' }].map((options) =>
    fetch('https://a.example', options).then(() => 'resolved', (error) => error.message))),
};
