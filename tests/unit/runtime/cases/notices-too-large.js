// data: ["RangeError: context.streamEvent: the arguments may have 16 KiB as JSON at most","RangeError","RangeError","RangeError"]
async function handler(input, c) {
  const large = async (promise) => { try { await promise; } catch (error) { return error; } };
  const errors = [await large(c.streamEvent('b', new Array(3e5).fill({}))), await large(c.notify('x'.repeat(16384 - 5))),
    await large(c.notify('ä'.repeat(8190))), await large(c.notify('m', { note: '😀'.repeat(4092) }))];
  return [`${errors[0]}`, ...errors.slice(1).map((error) => error.name)];
}
module.exports = { handler };
