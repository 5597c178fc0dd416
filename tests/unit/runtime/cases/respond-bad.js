// data: ["RangeError","RangeError","RangeError","RangeError","RangeError","TypeError","TypeError"]
async function handler(input, { publicApp }) {
  const circle = {};
  circle.circle = circle;
  return [() => publicApp.respond(1, { status: 500 }), () => publicApp.respond(1, { status: '200' }),
    () => publicApp.respond(1, { status: 205 }), () => publicApp.respond(1, { status: 407 }), () => publicApp.respond(1, { status: 421 }),
    () => publicApp.respond(1, { headers: ['a'] }), () => publicApp.respond(circle)].map((f) => {
    try { f(); } catch (error) { return error.name; }
    return 'none';
  });
}
module.exports = { handler };
