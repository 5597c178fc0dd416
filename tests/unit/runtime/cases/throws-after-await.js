// error: RangeError: too far
// line: 5
async function handler(input, context) {
  await context.fetch('https://a.example');
  throw new RangeError('too far');
}
module.exports = { handler };
