// A name server that refuses every question (RFC 1035 §4.1.1, RCODE 5), for tests that are not about DNS: without one
// a name that a test makes is looked for on the internet, and a machine without it waits 15 s for each answer.
import dgram from 'node:dgram';

const REFUSED = 5;
let started;

/** Its address, as the setting dns_forwarders wants it; one for a test program, gone with it. */
export function refusingForwarder() {
    return (started ??= new Promise((resolve, reject) => {
        const socket = dgram.createSocket('udp4');
        socket.on('message', (question, { port, address }) => {
            if (question.length < 12) return;
            const answer = Buffer.from(question);
            answer[2] |= 0x80;
            answer[3] = 0x80 | REFUSED;
            socket.send(answer, port, address);
        });
        socket.on('error', reject);
        socket.bind(0, '127.0.0.1', () => resolve(`127.0.0.1@${socket.address().port}`));
        socket.unref();
    }));
}
