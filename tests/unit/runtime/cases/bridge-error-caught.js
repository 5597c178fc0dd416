// data: {"message":"the server says no","code":"refused","isError":true}
async function handler(input, context) {
  try {
    await context.managedDb.query('fail');
  } catch (error) {
    return { message: error.message, code: error.code, isError: error instanceof Error };
  }
}
module.exports = { handler };
