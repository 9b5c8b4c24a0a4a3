// What kind of file system a file is on: a system header that the C library's Swift module leaves out.
#include <sys/vfs.h>
