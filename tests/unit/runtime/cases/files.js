// bridge: ["files.upload","a.txt","text/plain","aGk="]
// bridge: ["files.upload","b.bin","application/x","AQI="]
// bridge: ["files.list"]
// bridge: ["files.list","image/*"]
// bridge: ["files.get","f1"]
// bridge: ["files.getUrl","f1"]
// bridge: ["files.delete","f1"]
// bridge: ["files.get","fail"]
// data: ["context.files.get: the id is not a string","file_too_large","file_too_large","the server says no","refused"]
async function handler(input, { files }) {
  await files.upload('a.txt', 'text/plain', btoa('hi'));
  await files.upload('b.bin', 'application/x', new Uint8Array([1, 2]));
  await files.list();
  await files.list('image/*');
  await files.get('f1');
  await files.getUrl('f1');
  await files.delete('f1');
  const refused = await files.get('fail').catch((error) => error);
  return [await files.get(5).catch((error) => error.message),
    await files.upload('c', 'd', new Uint8Array(10 * 1024 * 1024 + 1)).catch((error) => error.code),
    await files.upload('c', 'd', 'A'.repeat(13981016 + 1)).catch((error) => error.code), refused.message, refused.code];
}
module.exports = { handler };
