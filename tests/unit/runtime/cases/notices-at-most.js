// data: [20,20]
async function handler(input, c) {
  let notices = 0, events = 0;
  for (let i = 0; i < 30; ++i) {
    notices += await c.notify('n').then(Number, () => 0);
    events += await c.streamEvent('e').then(Number, () => 0);
  }
  return [notices, events];
}
module.exports = { handler };
