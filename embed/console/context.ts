// What a view is given. One is made for each view that is shown; `signal` ends with it.
import type { Api } from './api';
import type { Host } from './host';
import type { Options } from './options';
import type { Session } from './session';
import type { Words } from './words';

export type Power = 'connect' | 'build' | 'configure' | 'manage';

export interface Context {
    main: HTMLElement;
    signal: AbortSignal;
    api: Api;
    session: Session;
    host: Host;
    options: Options;
    words: Words;
    /** The page's title, and what is read aloud when it is shown. */
    title: (text: string) => void;
    go: (route: string) => void;
    /** A sentence at the edge of the page that goes by itself; read aloud. */
    tell: (text: string) => void;
    /** What the server would allow this role; it has the last word. */
    may: (power: Power) => boolean;
}

const ROLES = ['viewer', 'operator', 'editor', 'admin'];
const LOWEST: Record<Power, string> = { connect: 'operator', build: 'editor', configure: 'editor', manage: 'admin' };

export function roleMay(role: string | undefined, power: Power): boolean {
    return ROLES.indexOf((role ?? '').toLowerCase()) >= ROLES.indexOf(LOWEST[power]);
}
