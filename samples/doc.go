// Package samples holds programs to copy from, one a folder: see README.md.
// Its tests build and run each of them.
package samples
