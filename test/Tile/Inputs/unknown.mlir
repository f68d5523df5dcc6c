func.func private @k(%x: memref<?xf32>) attributes {moe.kernel} {
  memref.dealloc %x : memref<?xf32>
  return
}
