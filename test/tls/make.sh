#!/bin/sh
# Makes the certificates of the tests anew. faketime, so that they are valid whatever the clock of a machine says: for 200 years, or for a day that has long passed.
set -eu
cd "$(dirname "$0")"
rm -f ./*.pem
at() { faketime -f '2020-01-01 00:00:00' openssl "$@" 2>/dev/null; }
# name
authority() { at req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1-key.pem" -out "$1.pem" -days 73000 -subj "/CN=omnikv test $1"; }
# name, names it is for and further extensions, authority, days
certificate() {
  at req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1-key.pem" -out "$1.csr" -subj "/CN=$1"
  printf 'subjectAltName=%b' "$2" >extensions
  at x509 -req -in "$1.csr" -CA "$3.pem" -CAkey "$3-key.pem" -CAcreateserial -days "$4" -extfile extensions -out "$1.pem"
}
authority ca
authority other-ca
certificate node IP:127.0.0.1,DNS:localhost ca 73000
certificate renewed IP:127.0.0.1,DNS:localhost ca 73000
certificate elsewhere DNS:elsewhere.example ca 73000
certificate stranger IP:127.0.0.1 other-ca 73000
certificate expired IP:127.0.0.1 ca 1
certificate server-only 'IP:127.0.0.1\nextendedKeyUsage=serverAuth' ca 73000
at req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout self-signed-key.pem -out self-signed.pem -days 73000 -subj /CN=self-signed \
  -addext subjectAltName=IP:127.0.0.1 -addext keyUsage=digitalSignature
# An authority that has ended, and the same anew; what it has signed, itself or by one in between, of which there are two as well.
at req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ended-ca-key.pem -out ended-ca.pem -days 1 -subj "/CN=omnikv test ended-ca"
at req -x509 -key ended-ca-key.pem -out ended-ca-anew.pem -days 73000 -subj "/CN=omnikv test ended-ca"
certificate outlasting IP:127.0.0.1 ended-ca 73000
certificate between 'IP:127.0.0.1\nbasicConstraints=critical,CA:TRUE' ended-ca 73000
at x509 -req -in between.csr -CA ended-ca.pem -CAkey ended-ca-key.pem -CAcreateserial -days 1 -extfile extensions -out ended-between.pem
certificate below IP:127.0.0.1 between 73000
rm -f ./*.csr ./*.srl extensions ca-key.pem other-ca-key.pem ended-ca-key.pem between-key.pem
