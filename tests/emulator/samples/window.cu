// out[y, x] = sum of an image over a window of (2 r + 1)^2 pixels that is cut at the edges. Two-dimensional blocks.
extern "C" __global__ void __launch_bounds__(128)
window_sum(const double* __restrict__ image, double* __restrict__ out, int ny, int nx, int r) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= nx || y >= ny) return;
    const int y0 = max(0, y - r), y1 = min(ny, y + r + 1), x0 = max(0, x - r), x1 = min(nx, x + r + 1);
    double s = 0.0;
    for (int yy = y0; yy < y1; ++yy)
        for (int xx = x0; xx < x1; ++xx) {
            const int i = yy * nx + xx;
            s += image[i];
        }
    out[y * nx + x] = s;
}
