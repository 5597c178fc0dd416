// Compiled, never bundled: what index.ts makes is what the manual says.
import * as made from './index';

export const manual: typeof import('../stoa-embed') = made;
