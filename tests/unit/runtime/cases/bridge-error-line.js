// error: Error: the server says no
// line: 5
async function handler(input, context) {
  const first = 1;
  await context.fetch('fail');
  return first;
}
module.exports = { handler };
