package internet

// dockerKey stands for Docker's apt key: a real OpenPGP public key whose private
// half was thrown away.
const dockerKey = `-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZZIAgBYJKwYBBAHaRw8BAQdAkT+tLf7SZ4M2K6gnAXf9QMHDKs82B/pdGHVQ
yJ9aGTy0NW5lc3RsYWIgc2ltdWxhdGVkIERvY2tlciByZXBvc2l0b3J5IDxkb2Nr
ZXJAbGFiLnRlc3Q+iJAEExYIADgWIQQtEKYY/j0RCcQcbuz2LZhL/h/szwUCZZIA
gAIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAKCRD2LZhL/h/szwYSAP95Oezl
oaPuhCQpZgD0O/ytLol+iSxRGC3WYT+CZpzdJAD9Hec2Pv6UCNrYnpmLW2GxAvtA
qkwps5lAxQg3h6m7qwg=
=Zjed
-----END PGP PUBLIC KEY BLOCK-----
`
