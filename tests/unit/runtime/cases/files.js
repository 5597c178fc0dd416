// bridge: ["files.upload","a.txt","text/plain","aGk="]
// bridge: ["files.upload","b.bin","application/x","AQI="]
// bridge: ["files.list"]
// bridge: ["files.list","image/*"]
// bridge: ["files.get","f1"]
// bridge: ["files.getUrl","f1"]
// bridge: ["files.delete","f1"]
// data: "context.files.get: the id is not a string"
async function handler(input, { files }) {
  await files.upload('a.txt', 'text/plain', btoa('hi'));
  await files.upload('b.bin', 'application/x', new Uint8Array([1, 2]));
  await files.list();
  await files.list('image/*');
  await files.get('f1');
  await files.getUrl('f1');
  await files.delete('f1');
  return files.get(5).catch((error) => error.message);
}
module.exports = { handler };
