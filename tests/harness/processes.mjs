// What /proc tells about processes: who descends from whom, who is still there, what a process has open.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';

function stat(pid) {
    try {
        const text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
        const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
        return { state: fields[0], parent: Number(fields[1]), started: fields[19] };
    } catch {
        return undefined;
    }
}

export function isAlive(pid) {
    const now = stat(pid);
    return now !== undefined && now.state !== 'Z';
}

/** All descendants of `pid`, itself first, each as {pid, started, command}; a pid with another start time is another process. */
export function processTree(pid) {
    const children = new Map();
    for (const name of fs.readdirSync('/proc')) {
        if (!/^\d+$/.test(name)) continue;
        const s = stat(name);
        if (s === undefined) continue;
        if (!children.has(s.parent)) children.set(s.parent, []);
        children.get(s.parent).push(Number(name));
    }
    const tree = [];
    const add = (p) => {
        const s = stat(p);
        if (s === undefined || s.state === 'Z') return;
        let command = '';
        try {
            command = fs.readFileSync(`/proc/${p}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        } catch { /* it ended meanwhile */ }
        tree.push({ pid: p, started: s.started, command });
        for (const child of children.get(p) ?? []) add(child);
    };
    add(pid);
    return tree;
}

export function stillThere(tree) {
    return tree.filter((p) => {
        const s = stat(p.pid);
        return s !== undefined && s.state !== 'Z' && s.started === p.started;
    });
}

// What this machine's cores did since its start, hundredths of a second, and how long others had them meanwhile (proc(5), /proc/stat).
function cores() {
    const [user, nice, system, , , irq, softirq, steal] = fs.readFileSync('/proc/stat', 'utf8').split('\n')[0].trim().split(/\s+/).slice(1).map(Number);
    return { busy: user + nice + system + irq + softirq, stolen: steal };
}
const coresBefore = cores();
/** How many times as long as on cores of one's own things take, since this process began, because the machine's host gave them to others: 1 to 4. */
export function stolenFactor() {
    const { busy, stolen } = cores();
    const worked = busy - coresBefore.busy, waited = stolen - coresBefore.stolen;
    return worked < 100 ? 1 : Math.min(4, 1 + waited / worked);
}

/** Open descriptors by kind: {tcp, unix, file, other}; undefined when they may not be read (not root, process not dumpable). */
export function openDescriptors(pid) {
    let names;
    try {
        names = fs.readdirSync(`/proc/${pid}/fd`);
    } catch {
        return undefined;
    }
    const tcp = new Set();
    for (const table of ['tcp', 'tcp6']) {
        for (const line of fs.readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').slice(1)) tcp.add(line.trim().split(/\s+/)[9]);
    }
    const count = { tcp: 0, unix: 0, file: 0, other: 0, others: [] };
    for (const name of names) {
        let target;
        try {
            target = fs.readlinkSync(`/proc/${pid}/fd/${name}`);
        } catch {
            continue;
        }
        if (target.startsWith('/memfd:stoa-body')) continue; // what the serving cache holds, bounded by its budget
        const socket = /^socket:\[(\d+)\]$/.exec(target);
        if (socket) ++count[tcp.has(socket[1]) ? 'tcp' : 'unix'];
        else if (target.startsWith('/') && !target.startsWith('/dev/') && !target.startsWith('/memfd:')) ++count.file;
        else count.others.push(target);
    }
    count.other = count.others.length;
    return count;
}

const hasCapability = (bit) => (BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]}`) >> BigInt(bit)) % 2n === 1n;
/** Whether we may mount: containers take that from their root. */
export const mayMount = hasCapability(21) && spawnSync('unshare', ['-m', 'true']).status === 0;
/** Whether we may look into the processes of all users (CAP_SYS_PTRACE): containers take that from their root, too. */
export const maySeeAll = hasCapability(19);

/** What stands before a program built with TSan: that of gcc 12 needs the address layout it knows. Nothing where a container forbids to choose it. */
export const fixedLayout = () => (spawnSync('setarch', ['-R', 'true']).status === 0 ? ['setarch', '-R'] : []);
