#include "CApusCPU.h"
