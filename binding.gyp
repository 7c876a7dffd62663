{
  "targets": [
    {
      "target_name": "local_entropy",
      "sources": ["<!@(node -p \"require('fs').readFileSync('native/sources.txt', 'utf8').trim().split('\\n').map((name) => 'native/' + name).join(' ')\")"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags": ["<!@(node -p \"require('fs').readFileSync('native/flags.txt', 'utf8').trim()\")"],
      "cflags!": ["-fno-exceptions", "-O2"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++17", "-O3"],
      "conditions": [["target_arch=='x64' and OS!='win'", { "cflags": ["<!@(node -p \"require('fs').readFileSync('native/flags-x64.txt', 'utf8').trim()\")"] }]],
      "xcode_settings": {
        "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
        "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
        "GCC_OPTIMIZATION_LEVEL": "3",
        "OTHER_CFLAGS": ["<!@(node -p \"require('fs').readFileSync('native/flags.txt', 'utf8').trim()\")"]
      }
    }
  ]
}
