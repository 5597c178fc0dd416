// kind: widget
// error: RangeError: context.widget.update: more than 192 KiB
// line: 6
async function handler(input, context) {
  for (let i = 0; ; ++i)
    await context.widget.update('x'.repeat(10000));
}
module.exports = { handler };
