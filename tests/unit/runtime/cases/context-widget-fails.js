// kind: widget
// error: Error: later
// meta: {"widget":[{"type":"show","data":1}]}
async function handler(input, context) {
  await context.widget.show(1);
  throw new Error('later');
}
module.exports = { handler };
