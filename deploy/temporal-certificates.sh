#!/bin/sh
# Makes the certificates by which the Temporal server and its clients know each other: an authority of our own, one
# certificate for the server (its services among each other too) and one for the clients (workers, web UI, tools). Safe to
# repeat: what is there stays, and what ends within 90 days is made anew (restart the services then).
#
# CA_FOLDER       the authority with its key; nobody else needs it
# SERVER_FOLDER   server.crt, server.key, ca.crt
# CLIENT_FOLDER   client.crt, client.key, ca.crt
set -eu

: "${CA_FOLDER:?}" "${SERVER_FOLDER:?}" "${CLIENT_FOLDER:?}"
days=3650
renewed_before_seconds=7776000
umask 077

# Each key lies in a folder that only those containers have that need it, under accounts of their images' own choice.
is_good() {
  [ -s "$1.key" ] && openssl x509 -in "$1.crt" -noout -checkend "$renewed_before_seconds" >/dev/null 2>&1 &&
    { [ $# -eq 1 ] || openssl verify -CAfile "$2" "$1.crt" >/dev/null 2>&1; }
}

new_key() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$1"
}

if ! is_good "$CA_FOLDER/ca"; then
  new_key "$CA_FOLDER/ca.key"
  openssl req -x509 -new -key "$CA_FOLDER/ca.key" -sha256 -days "$days" -subj '/CN=prominence temporal authority' \
    -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -out "$CA_FOLDER/ca.crt"
fi

# make FILE NAME USES: a certificate of our authority, whose name is also that of the server.
make() {
  if ! is_good "$1" "$CA_FOLDER/ca.crt"; then
    new_key "$1.key.new"
    printf 'subjectAltName=DNS:%s\nextendedKeyUsage=%s\nkeyUsage=critical,digitalSignature\nbasicConstraints=CA:FALSE\n' \
      "$2" "$3" >"$1.extensions"
    openssl req -new -key "$1.key.new" -subj "/CN=$2" -out "$1.request"
    openssl x509 -req -in "$1.request" -CA "$CA_FOLDER/ca.crt" -CAkey "$CA_FOLDER/ca.key" -sha256 -days "$days" \
      -set_serial "0x$(openssl rand -hex 16)" -extfile "$1.extensions" -out "$1.crt.new" 2>/dev/null
    rm "$1.request" "$1.extensions"
    mv "$1.key.new" "$1.key"
    mv "$1.crt.new" "$1.crt"
  fi
  cp "$CA_FOLDER/ca.crt" "$(dirname "$1")/ca.crt"
  chmod 644 "$1.crt" "$1.key" "$(dirname "$1")/ca.crt"
}

# The server's services are clients of each other.
make "$SERVER_FOLDER/server" temporal serverAuth,clientAuth
make "$CLIENT_FOLDER/client" prominence-client clientAuth
