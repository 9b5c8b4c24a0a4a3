// What the C library's Swift module leaves out: what kind of file system a file is on, and how to have part of a file
// written to the disk without waiting for it.
#include <sys/types.h>
#include <sys/vfs.h>

// <fcntl.h> declares it only to those who ask for all of GNU before the first header.
extern int sync_file_range(int descriptor, off_t offset, off_t byte_count, unsigned int flags);
