/** How every process of ours reaches Temporal: its address, and who we are where the server asks. */
import { readFileSync } from 'node:fs';
import type { TLSConfig } from '@temporalio/client';

/** As `temporal` of the configuration; paths are absolute there. */
export interface TemporalAccess {
  address: string;
  tls?:
    | {
        caFile?: string | undefined;
        certFile?: string | undefined;
        keyFile?: string | undefined;
        serverName?: string | undefined;
      }
    | undefined;
  apiKey?: string | undefined;
}

export interface ConnectionOptions {
  address: string;
  tls?: TLSConfig | true;
  apiKey?: string;
}

/** For `Connection.connect` and `NativeConnection.connect`. @throws when a file can't be read, with its name and key */
export function connectionOptions({ address, tls, apiKey }: TemporalAccess): ConnectionOptions {
  return {
    address,
    ...(tls ? { tls: tlsOf(tls) } : {}),
    // A key must not travel in plain words.
    ...(apiKey === undefined ? {} : { apiKey, ...(tls ? {} : { tls: true as const }) }),
  };
}

function tlsOf({ caFile, certFile, keyFile, serverName }: NonNullable<TemporalAccess['tls']>): TLSConfig {
  return {
    ...(serverName === undefined ? {} : { serverNameOverride: serverName }),
    ...(caFile === undefined ? {} : { serverRootCACertificate: read('caFile', caFile) }),
    ...(certFile === undefined || keyFile === undefined
      ? {}
      : { clientCertPair: { crt: read('certFile', certFile), key: read('keyFile', keyFile) } }),
  };
}

function read(key: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(`temporal.tls.${key} can't be read: ${(error as Error).message}`);
  }
}
