/**
 * Connections to one ssh host, shared by everything that is done there. sshd allows ten sessions on a connection by
 * default, so that there are more connections when many are wanted at once, and a queue when those are full too. What
 * lasts long gets a part of the places only: a kill, a start or the watch must not wait for somebody's download.
 */
import ssh2, { type Client, type ClientChannel } from 'ssh2';
import { HostError, type Lasting } from './host.ts';

export interface SshPoolOptions {
  address: string;
  port: number;
  user: string;
  /** The text of an OpenSSH private key without passphrase. */
  privateKey: string;
  /** The host's public key as in known_hosts: `ssh-ed25519 AAAA...`. No other is accepted. */
  hostKey: string;
  /** A connection that did not answer `keepaliveCount` times in a row is given up. */
  keepaliveSeconds?: number;
  keepaliveCount?: number;
  connectTimeoutSeconds?: number;
  channelsPerConnection?: number;
  maximumConnections?: number;
}

export interface ChannelLease {
  channel: ClientChannel;
  /** Call back when the connection below the channel is gone; not any more once the channel is closed. */
  onLost(callback: (error: HostError) => void): void;
}

export interface PlaceRequest {
  lasts?: Lasting | undefined;
  /** It ends another script, whose place is free only when it is ended. */
  isEnding?: true;
  /** Ends the wait for a place; its reason is thrown. */
  signal?: AbortSignal | undefined;
}

interface Connection {
  client: Client;
  /** Set when the connection is gone. */
  lost: HostError | undefined;
  onLost: Set<(error: HostError) => void>;
  inUse: number;
  /** Of those in use. */
  lasting: Record<Lasting, number>;
  capacity: number;
}

interface Place {
  connection: Connection;
  release(): void;
}

/** The watch and the starter of a machine: they stay. */
const stayingPlaces = 2;

export class SshPool {
  readonly label: string;
  readonly #options: SshPoolOptions;
  readonly #channelsPerConnection: number;
  readonly #maximumConnections: number;
  readonly #hostKey: { type: string; blob: Buffer };
  #connections: Connection[] = [];
  #connecting: Promise<Connection> | undefined;
  #waiting: (() => void)[] = [];
  #isClosed = false;

  constructor(options: SshPoolOptions) {
    this.#options = options;
    this.#channelsPerConnection = options.channelsPerConnection ?? 8;
    this.#maximumConnections = options.maximumConnections ?? 3;
    this.label = `${options.user}@${options.address}:${options.port}`;
    this.#hostKey = parseHostKey(options.hostKey);
  }

  /** Start a command on a channel of its own, when there is room for one. @throws HostError; the signal's reason */
  async open(command: string, request: PlaceRequest = {}): Promise<ChannelLease> {
    for (;;) {
      const { connection, release } = await this.#takePlace(request);
      try {
        const channel = await execOn(connection, command);
        const callbacks: ((error: HostError) => void)[] = [];
        const tell = (error: HostError) => callbacks.forEach((callback) => callback(error));
        connection.onLost.add(tell);
        channel.once('close', () => {
          connection.onLost.delete(tell);
          release();
        });
        return { channel, onLost: (callback) => callbacks.push(callback) };
      } catch (error) {
        release();
        if (connection.lost) throw connection.lost;
        // The server allows fewer sessions than we thought: learn how many, and wait for a turn like everybody else.
        const others = connection.inUse;
        if (isOpenFailure(error) && others > 0) connection.capacity = others;
        else throw new HostError('unreachable', `${this.label}: ${(error as Error).message}`, { cause: error });
      }
    }
  }

  close(): Promise<void> {
    this.#isClosed = true;
    for (const { client } of this.#connections) client.end();
    this.#wakeAll();
    return Promise.resolve();
  }

  /** Each looks again, in the order they came. */
  #wakeAll(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #takePlace(request: PlaceRequest): Promise<Place> {
    const { lasts, signal } = request;
    for (;;) {
      signal?.throwIfAborted();
      if (this.#isClosed) throw new HostError('unreachable', `${this.label}: the connection was closed by us`);
      const mayStart = this.#hasRoomFor(request);
      const roomy = mayStart ? this.#connections.find(({ inUse, capacity }) => inUse < capacity) : undefined;
      if (roomy) return this.#take(roomy, lasts);
      if (mayStart && (this.#connecting || this.#connections.length < this.#maximumConnections)) {
        await unlessAborted(
          (this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined))),
          signal,
        );
      } else {
        await unlessAborted(new Promise<void>((resolve) => this.#waiting.push(resolve)), signal);
      }
    }
  }

  #take(connection: Connection, lasts: Lasting | undefined): Place {
    connection.inUse += 1;
    if (lasts) connection.lasting[lasts] += 1;
    const release = () => {
      connection.inUse -= 1;
      if (lasts) connection.lasting[lasts] -= 1;
      this.#wakeAll();
    };
    return { connection, release };
  }

  /**
   * One place is for what ends others. Of those for what comes and goes half may be taken for hours, and three quarters
   * for more than seconds.
   */
  #hasRoomFor({ lasts, isEnding }: PlaceRequest): boolean {
    if (isEnding) return true;
    const sum = (of: (connection: Connection) => number) => this.#connections.reduce((all, one) => all + of(one), 0);
    const unmade = (this.#maximumConnections - this.#connections.length) * this.#channelsPerConnection;
    const all = unmade + sum(({ capacity }) => capacity);
    if (all > stayingPlaces + 1 && sum(({ inUse }) => inUse) >= all - 1) return false;
    if (lasts === undefined) return true;
    const places = all - 1 - stayingPlaces;
    const hours = sum(({ lasting }) => lasting.hours);
    if (lasts === 'hours' && hours >= Math.max(1, Math.floor(places / 2))) return false;
    return hours + sum(({ lasting }) => lasting.minutes) < Math.max(1, Math.floor((places * 3) / 4));
  }

  async #connect(): Promise<Connection> {
    const client = new ssh2.Client();
    const connection: Connection = {
      client,
      lost: undefined,
      onLost: new Set(),
      inUse: 0,
      lasting: { minutes: 0, hours: 0 },
      capacity: this.#channelsPerConnection,
    };
    let problem: Error | undefined;
    client.on('error', (error) => (problem = error));
    client.on('close', () => {
      connection.lost = new HostError('unreachable', `${this.label}: ${problem?.message ?? 'the connection was lost'}`);
      this.#connections = this.#connections.filter((other) => other !== connection);
      for (const tell of connection.onLost) tell(connection.lost);
      // Whoever waited for a place may open another connection now.
      this.#wakeAll();
    });
    await this.#handshake(client);
    if (connection.lost) throw connection.lost as HostError;
    this.#connections.push(connection);
    return connection;
  }

  #handshake(client: Client): Promise<void> {
    const { address, port, user, privateKey } = this.#options;
    const { keepaliveSeconds = 5, keepaliveCount = 3, connectTimeoutSeconds = 10 } = this.#options;
    return new Promise((resolve, reject) => {
      let offered: Buffer | undefined;
      client.once('ready', resolve);
      client.once('close', () => reject(new HostError('unreachable', `${this.label}: the connection was closed`)));
      client.once('error', (error) => {
        client.destroy();
        reject(connectError(this.label, error, offered !== undefined && !offered.equals(this.#hostKey.blob)));
      });
      client.connect({
        host: address,
        port,
        username: user,
        privateKey,
        readyTimeout: connectTimeoutSeconds * 1000,
        keepaliveInterval: keepaliveSeconds * 1000,
        keepaliveCountMax: keepaliveCount,
        algorithms: { serverHostKey: signatureAlgorithms(this.#hostKey.type) },
        hostVerifier: (key: Buffer) => {
          offered = key;
          return key.equals(this.#hostKey.blob);
        },
      });
    });
  }
}

/** @throws the signal's reason, as soon as it is aborted */
function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (!signal) return promise;
  return new Promise<Value>((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** @throws Error when the line is not a public key */
function parseHostKey(line: string): { type: string; blob: Buffer } {
  const parsed = ssh2.utils.parseKey(line.trim());
  if (parsed instanceof Error) throw new Error(`not a public key line: ${line.slice(0, 40)} (${parsed.message})`);
  return { type: parsed.type, blob: parsed.getPublicSSH() };
}

type ServerHostKey = 'ssh-ed25519' | 'ecdsa-sha2-nistp256' | 'rsa-sha2-512' | 'rsa-sha2-256';

/** Only the configured kind of key is asked for: a server has several, and another kind is not a mismatch. */
function signatureAlgorithms(type: string): ServerHostKey[] {
  return type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type as ServerHostKey];
}

function connectError(label: string, error: Error & { level?: string }, isOtherKey: boolean): HostError {
  if (isOtherKey || /no matching (server )?host key/i.test(error.message)) {
    const message = `${label} has another host key than the configured one: if it was reinstalled, configure its new key`;
    return new HostError('hostKeyMismatch', message, { cause: error });
  }
  if (error.level === 'client-authentication') {
    return new HostError('authentication', `${label} refused our user or key`, { cause: error });
  }
  return new HostError('unreachable', `${label}: ${error.message}`, { cause: error });
}

function execOn(connection: Connection, command: string): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    connection.onLost.add(reject);
    connection.client.exec(command, (error, channel) => {
      connection.onLost.delete(reject);
      if (error) {
        reject(error);
        return;
      }
      // Node destroys a stream of which both sides ended, which ssh2 takes for our wish to close the channel at once:
      // the exit code, sent after the end of the output, would get lost now and then.
      channel.destroy = () => channel;
      resolve(channel);
    });
  });
}

function isOpenFailure(error: unknown): boolean {
  return error instanceof Error && /channel open failure/i.test(error.message);
}
