import ApusIO
