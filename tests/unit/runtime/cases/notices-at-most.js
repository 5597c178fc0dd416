// data: {"sent":[10,10],"code":["too_many_notices"],"name":["RangeError"],"left":3}
async function handler(input, c) {
  const sent = [0, 0], errors = [];
  const failed = (error) => { errors.push(error); return 0; };
  await c.notify('x'.repeat(20000)).catch(() => {}); // what is not sent is not counted
  for (let i = 0; i < 15; ++i) {
    sent[0] += await c.notify('n').then(Number, failed);
    sent[1] += await c.streamEvent('e').then(Number, failed);
  }
  const once = (member) => [...new Set(errors.map((error) => error[member]))];
  return { sent, code: once('code'), name: once('name'), left: errors.length - 7 };
}
module.exports = { handler };
