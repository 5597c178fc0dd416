// data: {"first":true}
// meta: {"responded":true}
// log: ["log","context.publicApp.respond was called before; the first answer stands"]
async function handler(input, context) {
  context.publicApp.respond({ first: true });
  try {
    context.publicApp.respond({ second: true });
  } catch (error) {
    console.log(error.message);
  }
}
module.exports = { handler };
