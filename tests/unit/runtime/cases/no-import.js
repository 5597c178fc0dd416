// error: Error: Could not import
module.exports = { handler: () => import('fs') };
