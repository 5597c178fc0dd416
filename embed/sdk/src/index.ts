// The SDK: one setup at a time, and the verbs that work on it.
import type { EmbedEvents, StoaEmbed } from '../stoa-embed';
import { asError, StoaEmbedError } from './errors';
import { cleanPrefix, routeOf } from './routes';
import { Setup } from './setup';

declare const SDK_VERSION: string;

export { StoaEmbedError };
export const version: string = SDK_VERSION;

let setup: Setup | undefined;
const listeners = new Map<string, Set<(data: any) => void>>();

function emit<E extends keyof EmbedEvents>(event: E, data: EmbedEvents[E]): void {
    listeners.get(event)?.forEach((listener) => listener(data));
}

const unconfigured = () => Promise.reject(new StoaEmbedError('not_configured', 'Call configure() first.'));

export const stoa: StoaEmbed = {
    version,

    async configure(options) {
        setup?.end();
        setup = undefined;
        const made = (setup = new Setup(options, version, emit));
        try {
            await made.start();
        } catch (error) {
            throw asError(error, 'refused');
        }
    },

    navigate({ route }) {
        setup?.navigate(route);
    },

    connect: (options) => setup?.connect(options) ?? unconfigured(),

    request: (options) => setup?.request(options) ?? unconfigured(),

    extractRouteFromUrl: ({ vendorUrl, prefix }) => routeOf(vendorUrl, cleanPrefix(prefix ?? setup?.prefix)),

    on(event, listener) {
        const set = listeners.get(event) ?? new Set();
        listeners.set(event, set.add(listener));
        return () => void set.delete(listener);
    },

    updateToken: (token) => setup?.updateToken(typeof token === 'object' ? token.jwtToken : token) ?? unconfigured(),

    destroy() {
        setup?.end();
        setup = undefined;
    },
};

export default stoa;
