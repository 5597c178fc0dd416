// Promises that settle: by their cause, or by the clock.
import { StoaEmbedError } from './errors';

export interface Deferred<T> {
    promise: Promise<T>;
    resolve: (value: T) => void;
    reject: (error: StoaEmbedError) => void;
}

export function deferred<T>(): Deferred<T> {
    const made = {} as Deferred<T>;
    made.promise = new Promise<T>((resolve, reject) => Object.assign(made, { resolve, reject }));
    made.promise.catch(() => undefined); // whoever was given it hears of it; nobody else is to
    return made;
}

export function within<T>(milliseconds: number, what: string, promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new StoaEmbedError('timed_out', `${what} took more than ${milliseconds / 1000} s.`)), milliseconds);
        promise.then(resolve, reject).finally(() => clearTimeout(timer));
    });
}
