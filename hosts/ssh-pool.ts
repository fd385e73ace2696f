/**
 * Connections to one ssh host, shared by everything that is done there. sshd allows ten sessions on a connection by
 * default, so that there is a second connection when many are wanted at once, and a queue when that is full too.
 */
import ssh2, { type Client, type ClientChannel } from 'ssh2';
import { HostError } from './host.ts';

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

interface Connection {
  client: Client;
  /** Set when the connection is gone. */
  lost: HostError | undefined;
  onLost: Set<(error: HostError) => void>;
  inUse: number;
  capacity: number;
}

export class SshPool {
  readonly label: string;
  readonly #options: SshPoolOptions;
  readonly #hostKey: { type: string; blob: Buffer };
  #connections: Connection[] = [];
  #connecting: Promise<Connection> | undefined;
  #waiting: (() => void)[] = [];
  #isClosed = false;

  constructor(options: SshPoolOptions) {
    this.#options = options;
    this.label = `${options.user}@${options.address}:${options.port}`;
    this.#hostKey = parseHostKey(options.hostKey);
  }

  /** Start a command on a channel of its own, when there is room for one. @throws HostError */
  async open(command: string): Promise<ChannelLease> {
    for (;;) {
      const connection = await this.#roomyConnection();
      try {
        const channel = await execOn(connection, command);
        const callbacks: ((error: HostError) => void)[] = [];
        const tell = (error: HostError) => callbacks.forEach((callback) => callback(error));
        connection.onLost.add(tell);
        channel.once('close', () => {
          connection.onLost.delete(tell);
          connection.inUse -= 1;
          this.#waiting.shift()?.();
        });
        return { channel, onLost: (callback) => callbacks.push(callback) };
      } catch (error) {
        connection.inUse -= 1;
        this.#waiting.shift()?.();
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
    for (const wake of this.#waiting.splice(0)) wake();
    return Promise.resolve();
  }

  /** A connection with a place on it, which is taken for the caller. */
  async #roomyConnection(): Promise<Connection> {
    const { maximumConnections = 2 } = this.#options;
    for (;;) {
      if (this.#isClosed) throw new HostError('unreachable', `${this.label}: the connection was closed by us`);
      const roomy = this.#connections.find(({ inUse, capacity }) => inUse < capacity);
      if (roomy) {
        roomy.inUse += 1;
        return roomy;
      }
      if (this.#connecting || this.#connections.length < maximumConnections) {
        await (this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined)));
      } else {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    }
  }

  async #connect(): Promise<Connection> {
    const { channelsPerConnection = 8 } = this.#options;
    const client = new ssh2.Client();
    const connection: Connection = {
      client,
      lost: undefined,
      onLost: new Set(),
      inUse: 0,
      capacity: channelsPerConnection,
    };
    let problem: Error | undefined;
    client.on('error', (error) => (problem = error));
    client.on('close', () => {
      connection.lost = new HostError('unreachable', `${this.label}: ${problem?.message ?? 'the connection was lost'}`);
      this.#connections = this.#connections.filter((other) => other !== connection);
      for (const tell of connection.onLost) tell(connection.lost);
      // Whoever waited for a place may open another connection now.
      for (const wake of this.#waiting.splice(0)) wake();
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
