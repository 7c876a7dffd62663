// Node-API's functions on Windows, looked up in the program that runs this, whatever it is called. An import
// library names one program, node.exe, and a binary that was linked to it loads in no Electron, Bun or Deno.
//
// The headers declare the functions as imported, so every call goes through a pointer `__imp_NAME`, which an
// import library would define; here they are defined, and filled in before anything else of this binary runs.
// Release binaries alone are linked so (scripts/release/compile.mjs, which writes the list of functions); a
// build from a clone has a loader of delayed libraries from cmake-js.
#include <windows.h>

namespace {

// Where an older host lacks a function: every one of them that an addon calls answers with a status.
int missing() { return 9; }  // napi_generic_failure

void* function_of_host(const char* name) {
  // The program itself; else the library that some programs have Node in.
  const char* const hosts[] = {nullptr, "libnode.dll", "node.dll"};
  for (const char* host : hosts) {
    const HMODULE module = GetModuleHandleA(host);
    if (module == nullptr) continue;
    if (const FARPROC found = GetProcAddress(module, name)) return reinterpret_cast<void*>(found);
  }
  return reinterpret_cast<void*>(missing);
}

}  // namespace

extern "C" {
#define NODE_API_FUNCTION(name) void* __imp_##name;
#include "node-api-functions.h"
#undef NODE_API_FUNCTION
}

__attribute__((constructor)) static void look_up_functions() {
#define NODE_API_FUNCTION(name) __imp_##name = function_of_host(#name);
#include "node-api-functions.h"
}
